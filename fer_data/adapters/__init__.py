"""One file per dataset; `registry` lists them."""
