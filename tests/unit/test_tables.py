"""Tables, as CSV and Markdown."""

from artune.report.tables import Table


def test_a_table_in_two_formats():
    table = Table(("class", "a|b"), (("x,y", "1"), ("z", "10")))
    assert table.csv() == 'class,a|b\n"x,y",1\nz,10\n'
    assert table.markdown() == "| class | a\\|b |\n| ----- | ---: |\n| x,y   |    1 |\n| z     |   10 |\n"
