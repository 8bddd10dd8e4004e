"""What tables beside a manifest tell of its faces, one module for each kind of table."""
