"""Synthesise faces: train a generator, fulfil a plan, screen what came out. Imports fer_data and learning alone."""
