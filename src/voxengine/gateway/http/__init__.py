"""The HTTP requests that the gateway answers: one module for each group of routes."""
