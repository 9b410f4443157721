import threading

from models.lazy import lazy


class Model:
    def __init__(self, wait: threading.Event | None = None) -> None:
        self.computed = 0
        self.wait = wait
        self.begun = threading.Event()

    @lazy
    def table(self) -> list[int]:
        """What takes long."""
        self.begun.set()
        if self.wait:
            self.wait.wait()
        self.computed += 1
        return [self.computed]


def test_an_attribute_is_computed_once() -> None:
    model = Model()
    assert "table" not in vars(model)
    assert model.table is model.table
    assert model.computed == 1
    assert Model.table.__doc__ == "What takes long."


def test_an_attribute_is_read_while_that_of_another_instance_is_computed() -> None:
    end = threading.Event()
    large, small = Model(wait=end), Model()
    thread = threading.Thread(target=lambda: large.table)
    thread.start()
    try:
        assert large.begun.wait(60)
        assert small.table == [1]
        assert large.computed == 0
    finally:
        end.set()
        thread.join()


def test_threads_that_compute_an_attribute_at_once_get_the_same_object() -> None:
    end = threading.Event()
    model, found = Model(wait=end), list[list[int]]()
    threads = [threading.Thread(target=lambda: found.append(model.table)) for _ in range(2)]
    for thread in threads:
        thread.start()
    end.set()
    for thread in threads:
        thread.join()
    assert found[0] is found[1]
