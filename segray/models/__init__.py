"""Networks: photos in, one logit per class and pixel out."""
