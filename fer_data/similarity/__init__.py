"""Whether two pictures show one photograph: fingerprints that find candidates, alignment that decides."""
