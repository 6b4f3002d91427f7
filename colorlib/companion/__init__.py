"""What makes notebooks, figures, tables and a report of finished runs. Nothing below this floor imports it."""
