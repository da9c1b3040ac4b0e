"""The lowest layer: functions that import neither models nor views of this package."""
