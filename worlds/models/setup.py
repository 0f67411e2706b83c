"""How far a world has come on its operator's machine: the code to join by, and what the master has seen."""

from django.db import models

from worlds.models.world import World


class WorldSetup(models.Model):
    """The set-up of one world, as its page shows it. The master's."""

    world = models.OneToOneField(World, on_delete=models.CASCADE, primary_key=True, related_name="setup")
    address = models.CharField(
        max_length=120,
        blank=True,
        help_text="By which players reach the machine; empty: where it calls from.",
    )
    code_salt = models.CharField(
        max_length=32, blank=True, help_text="Makes the code, together with the deployment's secret key."
    )
    code_until = models.DateTimeField(null=True, blank=True)
    code_used_at = models.DateTimeField(null=True, blank=True)
    called_at = models.DateTimeField(null=True, blank=True, help_text="Some machine has tried to join.")
    call_fault = models.CharField(max_length=300, blank=True, help_text="Why it could not; empty: it could.")
    checked_at = models.DateTimeField(null=True, blank=True, help_text="Last look at gateway and UDP.")
    check_at = models.DateTimeField(null=True, blank=True, help_text="When to look next; empty: not wanted.")
    looks = models.PositiveIntegerField(default=0, help_text="In vain, one after the other.")
    gateway_at = models.DateTimeField(null=True, blank=True, help_text="The gateway answered then.")
    gateway_fault = models.CharField(max_length=300, blank=True)
    udp_at = models.DateTimeField(null=True, blank=True, help_text="A zone cluster answered then.")
    udp_fault = models.CharField(max_length=300, blank=True)
    udp_addresses = models.CharField(max_length=300, blank=True, help_text="That were tried.")
    zones = models.PositiveIntegerField(default=0, help_text="That the world says are open.")
    zone_at = models.DateTimeField(null=True, blank=True, help_text="The first zone was open then.")
    opened_at = models.DateTimeField(
        null=True, blank=True, help_text="All steps were done for the first time."
    )

    def __str__(self) -> str:
        return f"set-up of {self.world}"
