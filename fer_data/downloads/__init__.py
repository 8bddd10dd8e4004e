"""Downloads as they are: a folder, or a zip or tar that is read in place, never unpacked by its own names.

opening         from a path to a `fer_data.sources.Source`
folders         a folder, or a single file
zips, tars      archives; a compressed tar is expanded first
names           what is hostile is told and set aside: paths that climb out, names twice, names that are not text
"""
