"""The parts of the label audit, one module each; `fer_data.label_audit` writes what they say.

evidence                 what is known about the labelled faces: predictions, repeats, features, groups
judgement                the parts put in order

scores, neighbours       one number per face and way of judging, 0..1, low = bad
combining                one score from all, learnt on planted noise: planting, examples, presence, mixing
noise, joints            how given and true labels go together, with intervals
reasons                  wrong, ambiguous, not a face, or unlike any other
guard                    which labels are marked, and what may not be decided without a person
policies                 what to do where there is no reviewer, and how often it is right; policy_application does it
crowd, raters            what several raters and the model say together
review_order             which faces a reviewer gains most from
reviewed, sharpening     what people decided, and what that tells of the other faces
history                  how the estimate moved from audit to audit
other_issues             conflicts and leaks (copies), order, groups (slices), imbalance, pictures; findings
overlapping              which pairs of labels a guide should sharpen
summary                  what the audit says of the whole
page                     the parts of the audit's page
"""
