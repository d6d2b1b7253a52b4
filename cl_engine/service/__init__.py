"""A retrieval service over time: a gallery of vectors outlives the models, and renewing it has a price.

Pure functions of vectors, labels and options.  A model is replaced; its vectors stay, are embedded anew by a
worker, or are mapped; and queries go to the old model or to the new one.  Times are seconds.
"""
