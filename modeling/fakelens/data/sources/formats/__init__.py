"""Each kind of data -> a source: class folders, lists, tables, saved data sets. Read tables first."""
