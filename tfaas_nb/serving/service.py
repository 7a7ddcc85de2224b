"""Service: predicts, uploads and deletes, over a repository and engines, without HTTP."""

from __future__ import annotations

import itertools
import threading
from typing import Any

from tfaas_nb.bundle import Bundle
from tfaas_nb.engines import Engine
from tfaas_nb.errors import (
    BundleError,
    ModelNotFound,
    RepositoryError,
    RepositoryUnreachable,
    TfaasError,
)
from tfaas_nb.reference import Reference
from tfaas_nb.repository import Repository, Stored
from tfaas_nb.serving.admission import Admission, checked_engine
from tfaas_nb.serving.cores import Cores
from tfaas_nb.serving.counts import InMemory, Scored
from tfaas_nb.serving.loaded_model import Model
from tfaas_nb.serving.memory import Memory

#: Bytes of models kept in memory unless told otherwise.
DEFAULT_MEMORY = 1 << 30

#: Other processes may delete a version between finding and reading it, so often at most.
_MOST_TRIES = 10


class Service:
    """Models of a repository, loaded when they are first asked for.

    A model is asked for by a `Reference`: ``NAME``, ``NAME/versions/3``, ``NAME/labels/LABEL``.
    Other processes may change the repository meanwhile; see `look`.

    Parameters
    ----------
    repository : Repository
        Where models are kept.
    memory : int
        Bytes of model files kept in memory; when there are more, the least recently used
        models leave, and come back when they are asked for.
    admission : Admission
        What models must pass.

    Attributes
    ----------
    admission : Admission
        Reads what is uploaded.
    scored : Scored
        Calls of its models.
    """

    def __init__(
        self,
        repository: Repository,
        memory: int = DEFAULT_MEMORY,
        admission: Admission | None = None,
    ) -> None:
        self.repository = repository
        self.admission = admission or Admission()
        self._memory: Memory[Model] = Memory(memory, self._forget)
        # What references mean, and what they meant before the repository changed: until they
        # are asked for again, that keeps their models in memory, and no others.
        self._named: dict[str, Model] = {}
        self._former: dict[str, Model] = {}
        self._stamp: object = None
        self._changes = self._swept = 0
        self._uses = itertools.count(1)
        self._lock = threading.RLock()
        self.scored = Scored()
        self._cores = Cores()

    @property
    def in_memory(self) -> InMemory:
        """Number and size of the models in memory, and counts of loads and evictions."""
        return self._memory.taken

    def look(self) -> None:
        """Notice what other processes changed; costs one `os.stat`.

        What references mean is forgotten after a change, and found out again in `model`.
        While the directory of models is not there, nothing is.
        """
        stamp = self.repository.stamp()
        # While the directory is away, what is in memory goes on to be served.
        if stamp is None or stamp == self._stamp:
            return
        with self._lock:
            self._changes += 1
            self._former.update(self._named)
            self._named = {}
            # Read before the references are looked up again, so that no change is missed; set
            # last, so that nobody takes for looked at what is not forgotten yet.
            self._stamp = stamp

    def loaded(self, reference: str | None) -> Model | None:
        """A model that is in memory (by default the last uploaded one), else None.

        No more than a look into a dictionary: what other processes did is noticed by `look`.
        """
        model = self._named.get(reference or "")
        if model is not None:
            model.used = next(self._uses)
        return model

    def model(self, reference: str | None) -> Model:
        """A model, read from disk if need be; may take seconds.

        Raises
        ------
        ModelNotFound
            If there is none of that name, version or label, or none at all, or it is unloaded.
        RepositoryError
            If it is damaged on disk, or the scores of its reference events differ from those
            that it brings.
        """
        self.look()
        return self.loaded(reference) or self._find(reference or "")

    def models(self) -> list[dict[str, Any]]:
        """Descriptions of all models, by name; one that cannot be served says why in ``error``."""
        return [self._described(stored) for stored in self.repository.models()]

    def describe(self, reference: str) -> dict[str, Any]:
        """The ``params.json`` of a model with its version and time of upload (ns).

        ``versions`` are those of its name, ``version_labels`` tell the version that each label
        is on (``labels`` is the name of a file, in TFaaS).

        Raises
        ------
        ModelNotFound
            If there is none of that name, version or label.
        RepositoryError
            If it is damaged on disk.
        """
        stored = self.repository.find(reference)
        return self.repository.params(stored).to_values() | self._versions(stored)

    def versions(self, name: str) -> list[dict[str, Any]]:
        """``version``, ``uploaded`` (ns), ``labels`` and ``sha256`` of every version of a model.

        One that is damaged says so in ``error``.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        """
        labels = self.repository.labels(name)
        return [self._version(stored, labels) for stored in self.repository.versions(name)]

    def upload(self, bundle: Bundle) -> Stored:
        """Try a model in a process of its own, store it, and serve it from now on.

        A bundle without reference events gets some, with the scores that it has here.

        Raises
        ------
        GraphError
            If it cannot answer.
        BundleError
            If the scores of its reference events differ from those that it brings.
        RepositoryError
            If it cannot be stored; what was served before still is.
        """
        bundle = self.admission.tried(bundle)
        engine = checked_engine(bundle)
        stored = self.repository.store(bundle)
        model = self._model(stored, bundle, engine)
        self.look()
        with self._lock:
            self._former[stored.name] = model
            self._memory.put(self.repository.identity(stored), model)
        return stored

    def delete(self, reference: str) -> None:
        """Remove a model with all its versions, or one version.

        Requests under way still get their answer.

        Raises
        ------
        ModelNotFound
            If there is no such model or version.
        BundleError
            If the version carries a label.
        """
        stored = self.repository.find(reference)
        self.repository.delete(reference)
        whole = Reference.parse(reference) == Reference(stored.name)
        self._drop(stored.name, None if whole else stored.version)

    def label(self, name: str, label: str, version: int | None = None) -> Stored:
        """Put a label on a version (by default the latest), or move it there.

        Raises
        ------
        ModelNotFound
            If there is no such model or version.
        BundleError
            If a label cannot be called so.
        """
        stored = self.repository.label(name, label, version)
        self.look()
        return stored

    def unlabel(self, name: str, label: str) -> None:
        """Remove a label.

        Raises
        ------
        ModelNotFound
            If there is no such model or label.
        """
        self.repository.unlabel(name, label)
        self.look()

    def load(self, name: str) -> Model:
        """Read the latest version of a model into memory, also of one that was unloaded.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        RepositoryError
            If it is damaged on disk.
        """
        self.repository.set_unloaded(name, False)
        return self.model(name)

    def unload(self, name: str) -> None:
        """Serve a model no more, in no process, until it is loaded or uploaded again.

        Raises
        ------
        ModelNotFound
            If there is none of that name.
        """
        self.repository.set_unloaded(name, True)
        self._drop(name)

    def check(self, stored: Stored) -> None:
        """Check that a version can be served: it is in memory, or whole on disk.

        Raises
        ------
        RepositoryError
            If it is damaged on disk.
        """
        if self._memory.peek(self.repository.identity(stored)) is None:
            self.repository.check(stored)

    def load_all(self) -> dict[str, TfaasError]:
        """Load the latest version of every model now rather than at its first request.

        Returns
        -------
        dict
            Model → error for those that could not be loaded.
        """
        failed = {}
        for stored in self.repository.models():
            if self.repository.is_unloaded(stored.name):
                continue
            try:
                self.model(stored.name)
            except TfaasError as error:
                failed[stored.name] = error
        return failed

    def close(self) -> None:
        """Forget the loaded models."""
        with self._lock:
            self._changes += 1
            self._named, self._former = {}, {}
            self._memory.keep(())
        self._cores.close()

    # --- references ---------------------------------------------------------------------

    def _find(self, text: str) -> Model:
        self._sweep()
        tries = itertools.count(1)
        while True:
            changes = self._changes
            stored = self._served(text)
            try:
                return self._name(text, stored, changes)
            except RepositoryError:
                if self.repository.is_stored(stored) or next(tries) == _MOST_TRIES:
                    raise

    def _served(self, text: str) -> Stored:
        """Find the stored version that a reference means now."""
        try:
            stored = self.repository.find(text) if text else self.repository.last_uploaded()
            if stored is None:
                raise ModelNotFound("there is no model yet: upload one first")
            if self.repository.is_unloaded(stored.name):
                raise ModelNotFound(_unloaded(stored.name))
        except ModelNotFound:
            self._release(text)
            raise
        return stored

    def _name(self, text: str, stored: Stored, changes: int) -> Model:
        """The model of a version, by that reference until the next change."""
        key = self.repository.identity(stored)
        model = self._memory.get(key, lambda: self._load(text, stored))
        with self._lock:
            model.used = next(self._uses)
            self._memory.put(key, model)
            # Another thread may have noticed a change since the reference was looked up.
            current = changes == self._changes
            self._former.pop(text, None)
            (self._named if current else self._former)[text] = model
            self._keep_referenced()
        return model

    def _sweep(self) -> None:
        """Let go what was deleted or unloaded by another process, once after a change."""
        with self._lock:
            if self._swept == self._changes:
                return
            self._swept = self._changes
            models = set(self._former.values())
        for model in models:
            if not self._is_served(model.stored):
                self._forget(model)
        with self._lock:
            self._keep_referenced()

    def _is_served(self, stored: Stored) -> bool:
        try:
            unloaded = self.repository.is_unloaded(stored.name)
            return self.repository.is_stored(stored) and not unloaded
        except RepositoryUnreachable:  # it has not been deleted, as far as anybody knows
            return True

    def _load(self, text: str, stored: Stored) -> Model:
        # What was uploaded was tried then; what somebody copied there was tried by nobody.
        if stored.version:
            bundle = self.repository.load(stored, self.admission.here)
        else:
            bundle = self.admission.tried(self.repository.load(stored, self.admission))
        try:
            engine = checked_engine(bundle)
        except BundleError as error:
            raise RepositoryError(
                f"version {stored.version} of {stored.name!r} is not served: {error}"
            ) from error
        model = self._model(stored, bundle, engine)
        with self._lock:
            self._former[text] = model
        return model

    def _model(self, stored: Stored, bundle: Bundle, engine: Engine) -> Model:
        size = self.repository.size(stored)
        uses = next(self._uses)
        loops = bundle.graph.has_loops
        return Model(stored, bundle, engine, size, uses, self.scored, self._cores, loops)

    def _release(self, text: str) -> None:
        """A reference means nothing any more."""
        with self._lock:
            self._named.pop(text, None)
            self._former.pop(text, None)
            self._keep_referenced()

    def _drop(self, name: str, version: int | None = None) -> None:
        """Let a model go, or one version of it."""
        self.look()
        with self._lock:
            self._changes += 1
            for references in (self._named, self._former):
                for text, model in list(references.items()):
                    if model.stored.name == name and version in (None, model.stored.version):
                        del references[text]
            self._keep_referenced()

    def _forget(self, model: Model) -> None:
        """No reference means a model any more."""
        with self._lock:
            for references in (self._named, self._former):
                for text in [text for text, named in references.items() if named is model]:
                    del references[text]

    def _keep_referenced(self) -> None:
        models = itertools.chain(self._named.values(), self._former.values())
        self._memory.keep({id(model) for model in models})

    # --- descriptions -------------------------------------------------------------------

    def _described(self, stored: Stored) -> dict[str, Any]:
        try:
            found = self.describe(stored.name)
        except TfaasError as error:
            own = {"version": stored.version, "uploaded": stored.uploaded}
            return {"name": stored.name, "error": str(error), **own}
        if self.repository.is_unloaded(stored.name):
            found |= {"error": _unloaded(stored.name), "unloaded": True}
        return found

    def _versions(self, stored: Stored) -> dict[str, Any]:
        return {
            "version": stored.version,
            "uploaded": stored.uploaded,
            "versions": list(self.repository.numbers(stored.name)),
            "version_labels": self.repository.labels(stored.name),
        }

    def _version(self, stored: Stored, labels: dict[str, int]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "version": stored.version,
            "uploaded": stored.uploaded,
            "labels": [label for label, version in labels.items() if version == stored.version],
        }
        try:
            return found | {"sha256": self.repository.params(stored).sha256}
        except RepositoryError as error:
            return found | {"sha256": "", "error": str(error)}


def _unloaded(name: str) -> str:
    return f"model {name!r} is unloaded: POST /v2/repository/models/{name}/load first"
