"""Does the audit find wrong labels better than cleanlab alone? One module each; `run` puts them in order.

design        what is compared, and the checks that cost nothing
truth         what FER+ says of the given labels, and which faces may be judged by it
methods       the scores that compete, on the same evidence
ranking       how well a score ranks, for any weights of the faces
paired        figures and differences of methods with intervals
audited       what the audit as a user gets it does with its marks, policies, noise matrix and order of review
growth        what more compute buys
figures       the figures that were promised, and what was reached
report        the same as a page
planted       the same question where the truth is known, because the errors were planted
"""
