"""Cross-validation of classifiers, and scans over their settings."""
