import threading

from models.lazy_property import lazy


class Model:
    def __init__(self, wait: threading.Event | None = None) -> None:
        self.computed = 0
        self.wait = wait
        self.started = threading.Event()

    @lazy
    def table(self) -> list[int]:
        """A slow computation."""
        self.started.set()
        if self.wait:
            self.wait.wait()
        self.computed += 1
        return [self.computed]


def test_a_lazy_attribute_is_computed_once() -> None:
    model = Model()
    assert "table" not in vars(model)
    assert model.table is model.table
    assert model.computed == 1
    assert Model.table.__doc__ == "A slow computation."


def test_a_lazy_attribute_is_readable_while_that_of_another_instance_is_computed() -> None:
    finish = threading.Event()
    large, small = Model(wait=finish), Model()
    thread = threading.Thread(target=lambda: large.table)
    thread.start()
    try:
        assert large.started.wait(60)
        assert small.table == [1]
        assert large.computed == 0
    finally:
        finish.set()
        thread.join()


def test_threads_that_compute_a_lazy_attribute_together_get_the_same_object() -> None:
    finish = threading.Event()
    model, values = Model(wait=finish), list[list[int]]()
    threads = [threading.Thread(target=lambda: values.append(model.table)) for _ in range(2)]
    for thread in threads:
        thread.start()
    finish.set()
    for thread in threads:
        thread.join()
    assert values[0] is values[1]
