"""The parts of `generators.sampling`: from the cells of a plan to rows of a manifest.

orders           which face is asked for how, with which seed
shares           several checkpoints share an order
re_expression    real faces to start from
requests         draw some faces; put an occlusion or a light on afterwards
chunks           drawn faces that a killed run finds again
processes        several processes draw the bits that one would
synthetic_rows   stores and a manifest of what was drawn
"""
