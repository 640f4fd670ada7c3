"""A real Chromium for tests: a bare page for one widget of this process, and a real JupyterLab."""
