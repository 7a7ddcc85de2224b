"""What classifiers are worth on parts they were not trained on, and which settings do best."""
