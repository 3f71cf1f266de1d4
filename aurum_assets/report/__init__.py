"""The report: a page a day that people read, made from the tables of a home.

    reading   SELECTs and their rows, and what else a page is made from
    hours     the hours of an operating day, as axes and tables write them
    charts    Vega-Lite to SVG that takes the colours of the page
    vega      the process that draws them
    figures   what a figure is: a chart, the sentence below it, its SELECT
    prices, seam, load, quality, headline   the figures of each section
    page      page and index, written to the folder

Here belongs what is shown and how. What a number means is decided where it is made: in the tables,
in the marts, in the checks. Nothing here asks an operator or writes a table.
"""
