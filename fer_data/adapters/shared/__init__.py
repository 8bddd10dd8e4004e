"""What several adapters need: opening and counting downloads, words of labels and splits, tables, videos."""
