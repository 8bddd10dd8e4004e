"""The dataset layer: one manifest for every facial-expression dataset. Imports no other room and no torch.

Read `fer_data.manifest` first: its SCHEMA is the contract that every room meets.
"""
