"""`roomcast doctor`: whether this machine is set up for many connections, and what to set where it is not."""
