"""Stories: how one scenario goes without the pipeline, and with it."""
