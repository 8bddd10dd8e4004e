"""One classifier judged on a split of one manifest: `scoring` computes, `page` shows, `faces` looks at single faces."""
