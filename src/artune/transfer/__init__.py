"""From two pictures to one."""
