"""Import and export: streams of documents of any length, in constant memory."""
