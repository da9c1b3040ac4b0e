"""What the rest stands on: functions that know no model of ours and no view."""
