"""Studies of many pictures: from what is asked for to runs, results, judges' answers and a report."""
