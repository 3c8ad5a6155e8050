"""Many runs: pictures of classes in styles of classes, kept as they are finished, judged by networks and by people."""
