"""What an evaluation found -> report.json, report.md and their folder.

Read `report` first, the content of report.json, then `folder`, which writes all files. `markdown` is the page, made of
`summary_text` and `tables`; `gallery` picks images to show, `console` prints a short form.
"""
