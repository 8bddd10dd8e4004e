"""Whole-column work on the rows of manifests: keys, components, groups, and how rows are dealt to splits."""
