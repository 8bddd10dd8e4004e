"""The parts of `generators.screening`: what a synthetic face must pass.

real_faces       training and held-out faces that set the measure
thresholds       what is usual among them, learnt once
picture_faults   blank and broken pictures
bands            how near its class a face lies in a judge's features
copies           near-copies of training faces and of other samples
verdicts         one reason for each dropped face, and the table
"""
