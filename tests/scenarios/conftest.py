from hypothesis import settings

settings.register_profile("cl-engine", deadline=None)  # a shared machine may be slow for a moment
settings.load_profile("cl-engine")
