"""BullMQ behind one door: carries job ids, holds no truth."""
