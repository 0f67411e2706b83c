"""Letters about payments: the receipt, and every later change. Sent after the commit; a repeat sends none."""

from accounts.letters import public_url, send_letter
from accounts.models import Payment
from accounts.shop.pages import public_page_of
from accounts.shop.standing import Standing

# What a payment comes to → the letter. From held or disputed to paid it is a receipt again.
LETTERS = {
    Standing.PAID: "shop/email/receipt",
    Standing.HELD: "shop/email/held",
    Standing.REFUNDED: "shop/email/refunded",
    Standing.DISPUTED: "shop/email/disputed",
    Standing.CHARGED_BACK: "shop/email/disputed",
}


def tell_of_payment(payment_id: int, before: str) -> None:
    """Write to the buyer how the payment stands now; to whom it is for, that it is there."""
    payment = Payment.objects.select_related("account").get(pk=payment_id)
    standing = Standing(payment.standing)
    letter = LETTERS.get(standing)
    context: dict[str, object] = {
        "payment": payment,
        "before": before,
        "address": public_page_of(payment),
        "redeem": public_url("redeem_code"),
        "sign_up": public_url("account_signup"),
    }
    if letter is not None and payment.billing_email:
        send_letter(template=letter, to=payment.billing_email, context=context)
    is_for_another = payment.recipient_email and payment.recipient_email != payment.billing_email
    if standing is Standing.PAID and is_for_another and before != Standing.DISPUTED:
        send_letter(template="shop/email/for_you", to=payment.recipient_email, context=context)
