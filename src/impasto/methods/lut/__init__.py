"""Looks: tables of colours that photos and films are graded with, fitted to pictures that stay photographs."""
