"""The way of the data: from a blob event to committed cursors, and what events missed."""
