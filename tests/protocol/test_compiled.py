from roomcast.protocol import compiled, connection, frames, masking, message, prepared, sending


def test_all_of_the_hot_path_runs_compiled_or_all_of_it_interpreted() -> None:
    hot_path = (connection, frames, masking, message, prepared, sending)
    assert {str(module.__file__).endswith(".py") for module in hot_path} == {not compiled()}
