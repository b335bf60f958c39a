"""The processes that train studies: runner, driver, Ray node."""
