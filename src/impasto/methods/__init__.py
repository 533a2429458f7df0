"""The methods, a folder each: its settings, its declaration, and its own files. A method never imports another one."""
