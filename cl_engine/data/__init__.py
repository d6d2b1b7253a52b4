"""Data sources: where training and test samples come from.

Each kind is a class; its keyword arguments are its options.  ``source.labels()`` tells what a stream needs to
be planned, without loading a sample; ``source.load()`` gives the samples.
"""

KINDS = {
    "digits": "cl_engine.data.digits:Digits",
    "folder": "cl_engine.data.folder:Folder",
    "gaussian": "cl_engine.data.gaussian:Gaussian",
    "npz": "cl_engine.data.npz:Npz",
}
