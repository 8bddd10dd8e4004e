"""The parts of the page that describes a manifest, one module each; `fer_data.describe` puts them in order.

A part is a function of the `Material`, and returns markup, "" where there is nothing to say.
"""
