"""Files in the cache of the Hugging Face hub's library."""


def cached(cache, repository: str, revision: str):
    """Return where the hub's library caches a file of a repository; see its documentation, "Understand caching"."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(revision)
    (folder / "snapshots" / revision).mkdir(parents=True)
    return folder / "snapshots" / revision / "model.safetensors"
