"""Makes what the arms of an experiment train on: reviewed, cleaned, with faces added or covered; kept by identity."""
