"""The parts of the page of a generation, one module each; `generators.generation_page` puts them in order.

A part is a function of the `Material`, and returns markup, "" where there is nothing to say.
"""
