"""AdaIN (Huang and Belongie, ICCV 2017): the photo's features take the painting's means and deviations."""
