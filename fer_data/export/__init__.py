"""A manifest becomes what other tools read: a Hugging Face data set, class folders, WebDataset shards, tables.

`exporting.export` is the way in; `registry.EXPORTS` lists the formats, one module each.
"""
