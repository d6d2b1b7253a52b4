"""Data sources: where training and test samples come from.

Each kind is a class; its keyword arguments are its options.  ``source.labels()`` tells what a stream needs to
be planned, without loading a sample; ``source.load()`` gives the samples.
"""

KINDS = {
    "digits": "cl_engine.data.digits:Digits",
    "folder": "cl_engine.data.folder:Folder",
    "gaussian": "cl_engine.data.gaussian:Gaussian",
    "cifar10": "cl_engine.data.cifar:Cifar10",
    "cifar100": "cl_engine.data.cifar:Cifar100",
    "mnist": "cl_engine.data.idx:Mnist",
    "fashion-mnist": "cl_engine.data.idx:FashionMnist",
    "idx": "cl_engine.data.idx:Idx",
    "torchvision": "cl_engine.data.by_torchvision:Torchvision",
    "hf": "cl_engine.data.hf:HuggingFace",
    "npz": "cl_engine.data.npz:Npz",
    "features": "cl_engine.data.feature_files:Features",
    "subset": "cl_engine.data.subset:Subset",
    "frozen": "cl_engine.models.frozen:Frozen",
    "csv": "cl_engine.data.table_files:Csv",
    "parquet": "cl_engine.data.table_files:Parquet",
}
