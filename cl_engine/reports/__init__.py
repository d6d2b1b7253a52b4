"""Reports: from run directories to tables.  They read ``result.json`` files and nothing else."""
